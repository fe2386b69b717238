"""The command line: arguments, and what each subcommand does.

The top of the service: may import everything, and nothing imports it. Arguments enter; an exit code
and what a person reads leave.
"""
