"""Turns records of Avro and Protobuf into JSON, by the schemas of a schema registry.

What is read here is bytes and texts: ``service.registry`` fetches the schemas.
"""
