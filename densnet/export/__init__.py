"""From a trained model to a bundle that other programs run, and back."""
