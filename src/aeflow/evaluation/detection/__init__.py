"""How well scores find anomalies."""
