"""Metrics of foxvideo for Prometheus, at http://localhost:9464/metrics, while it makes some videos.

    pip install 'foxvideo[otel]' opentelemetry-sdk opentelemetry-exporter-prometheus
    python metrics.py

With an exporter for OTLP in place of this one the same metrics, and the spans beside them, go anywhere else.
"""

import asyncio

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server

from foxvideo import Client, GrokTextToVideo
from foxvideo.otel import OpenTelemetry

PROMPTS = ("A fox trots through snow", "A kite above the dunes", "Rain on a tin roof")


async def main(port: int = 9464) -> None:
    """Make the videos, and serve what there is to measure."""
    server, thread = start_http_server(port)
    telemetry = OpenTelemetry(meter_provider=MeterProvider([PrometheusMetricReader()]))
    try:
        async with Client(telemetry=telemetry) as client:
            shots = [GrokTextToVideo(prompt=prompt) for prompt in PROMPTS]
            await asyncio.gather(*map(client.generate, shots), return_exceptions=True)
            await asyncio.sleep(15)  # until they were scraped
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


if __name__ == "__main__":
    asyncio.run(main())
