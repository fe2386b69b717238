"""The command line: its arguments, and the function of each subcommand.

The top of the service: may import everything, and nothing imports it. Input: arguments. Output: an
exit code and text for the operator.
"""
