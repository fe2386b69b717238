"""Fetches schemas from a schema registry that speaks the API of Confluent's."""
