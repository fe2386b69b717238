"""The console: a page for who is woken and has no Grafana at hand."""
