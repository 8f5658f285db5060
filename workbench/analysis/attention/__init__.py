"""Where an encoder looks: the job `attend`, how much of its attention lies where, and whether it is more than noise."""
