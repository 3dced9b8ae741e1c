"""Tables, significance and pages made from finished run directories. Reads only."""
