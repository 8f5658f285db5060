"""The state of one visitor, and the address that holds it. It knows no widget."""
