"""What stands between the public class and the mathematics."""
