"""Encoders made elsewhere, in families of architectures; the room ``dock`` brings published weights into them."""
