"""The console: a page for who is woken, or sits in an incident bridge, and has no Grafana at hand."""
