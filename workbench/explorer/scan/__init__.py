"""The scan page: viewers, controls, what is known of the scan, where else the encoder sees a place."""
