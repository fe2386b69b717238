"""Failures that the operator can fix: reported as a sentence, never as a traceback."""


class OperatorError(Exception):
    """A problem and its fix, for the person who started the command.

    ``exit_code`` is the exit status of the command: 1 for a failure, 2 for an error in the command
    line or in the configuration.
    """

    exit_code = 1


class ConfigurationError(OperatorError):
    """The configuration or the command line is wrong."""

    exit_code = 2
