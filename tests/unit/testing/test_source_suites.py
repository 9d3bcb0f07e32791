"""Every source keeps the promises of the protocol."""

import duckdb
import pytest

from rekindle.data.files import CSV, Parquet
from rekindle.data.replayed import Replayed
from rekindle.data.source import Frame
from rekindle.testing.sources import SourceSuite

COLUMNS = {"time": "t", "label": "label", "label_time": "known", "id": "id"}


class InFiles(SourceSuite):
    """Sources of files in a scratch folder."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        self.place = tmp_path


class TestParquet(InFiles):
    def make(self, rows):
        duckdb.sql(f"COPY rows TO '{self.place / 'rows.parquet'}'")
        return Parquet(self.place / "rows.parquet", **COLUMNS)

    def broken(self):
        (self.place / "broken.parquet").write_bytes(b"PAR1 and nothing else")
        return Parquet(self.place / "broken.parquet", **COLUMNS)


class TestParquetOnAnIndex(TestParquet):
    index = True


class TestParquetInManyFiles(InFiles):
    def make(self, rows):
        for number, part in enumerate((rows.iloc[:20], rows.iloc[20:21], rows.iloc[21:])):
            duckdb.from_df(part).write_parquet(str(self.place / f"part-{number}.parquet"))
        return Parquet(f"{self.place}/*.parquet", **COLUMNS)

    def broken(self):
        return Parquet(f"{self.place}/nothing-here-*.parquet", **COLUMNS)


class TestCSV(InFiles):
    def make(self, rows):
        rows.to_csv(self.place / "rows.csv", index=False)
        return CSV(self.place / "rows.csv", **COLUMNS)

    def broken(self):
        (self.place / "broken.csv").write_bytes(b"")
        return CSV(self.place / "broken.csv", **COLUMNS)


class TestCSVOnAnIndex(TestCSV):
    index = True


class TestFrame(SourceSuite):
    def make(self, rows):
        return Frame(rows, **COLUMNS)


class TestFrameOnAnIndex(TestFrame):
    index = True


class TestFrameWithoutLabelTimeAndId(SourceSuite):
    def make(self, rows):
        return Frame(rows.drop(columns=["known", "id"]), time="t", label="label")


class TestReplayed(SourceSuite):
    """Behind a curtain that is drawn aside; its extent ends where the curtain hangs."""

    def make(self, rows):
        times = rows["t"]
        until = self._moment(48) if len(times) else self._moment(0)
        return Replayed(Frame(rows, **COLUMNS), until)

    def test_extent_is_oldest_newest_and_count(self):
        extent = self._made().extent()
        assert extent.first == self._moment(0)
        assert extent.last < self._moment(48)

    def test_no_rows_are_no_error(self):
        pytest.skip("an empty stream is not replayed")
