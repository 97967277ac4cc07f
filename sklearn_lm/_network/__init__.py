"""Feed-forward networks: topology, initial weights, penalties, and the objective that is minimised."""
