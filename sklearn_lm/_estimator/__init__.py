"""Connection of the public class with the mathematics."""
