"""Planning before any job: the typed configuration, its checks, the cells to run, signatures read from source."""
