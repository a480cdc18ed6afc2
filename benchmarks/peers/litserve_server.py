"""The registered pipeline behind LitServe, as its documentation shows it: ``litserve_server.py PORT BATCH_SIZE``."""

# mypy: ignore-errors
# LitServe is only in the environment that runs this.
import os
import sys
from itertools import islice

import litserve
import pandas as pd
import skops.io


class FlightDelay(litserve.LitAPI):
    def setup(self, device):  # noqa: ARG002 - the framework's signature
        file = os.environ["MODEL_FILE"]
        self.model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))

    def decode_request(self, request):
        return request["flights"]

    def predict(self, flights):
        return self.model.predict_proba(pd.DataFrame(flights))[:, 1].tolist()

    def encode_response(self, predictions):
        return {"predictions": predictions}


class Batched(FlightDelay):
    """Requests that wait together are predicted in one call."""

    def batch(self, requests):
        self.sizes = [len(flights) for flights in requests]
        return [flight for flights in requests for flight in flights]

    def unbatch(self, predictions):
        found = iter(predictions)
        return [list(islice(found, size)) for size in self.sizes]


if __name__ == "__main__":
    port, size = int(sys.argv[1]), int(sys.argv[2])
    api = Batched(max_batch_size=size, batch_timeout=0.01) if size > 1 else FlightDelay()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False)
