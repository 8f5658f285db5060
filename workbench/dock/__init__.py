"""Encoders made elsewhere: published weights in, and our own out again."""
