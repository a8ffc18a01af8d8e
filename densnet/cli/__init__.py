"""The command line: ``densnet VERB``, one small module a verb."""
