"""Failures that the operator can mend: told in a sentence, never as a traceback."""


class OperatorError(Exception):
    """What is wrong and what to do about it, for the person who started the command.

    ``exit_code`` is what the command ends with: 1 for a failure, 2 for a mistake in the command
    line or in the configuration.
    """

    exit_code = 1


class ConfigurationError(OperatorError):
    """The configuration or the command line is wrong."""

    exit_code = 2
