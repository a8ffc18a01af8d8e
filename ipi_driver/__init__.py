"""An i-PI driver that serves a DenSNet model over unix sockets, TCP or shared memory."""
