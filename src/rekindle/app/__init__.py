"""The app: settings, the home with its verbs, the command line and the demo. Knows every concrete class."""
