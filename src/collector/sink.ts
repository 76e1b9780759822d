// The embedded store (or any sink handed in by the command) as a destination.
import type { CountedRequest } from '../formats/otlp/split.ts';
import type { Log } from '../runtime/log.ts';
import { errorMessage } from '../runtime/usage-error.ts';
import { type Destination, DestinationStats } from './destination.ts';

export interface TraceSink {
  readonly name: string;
  /** Takes a valid ExportTraceServiceRequest. The bytes are shared: they must be copied if they are kept. */
  accept(request: Uint8Array): void;
}

/** A sink that throws loses that request, counted, and nothing else. */
export class SinkDestination implements Destination {
  readonly name: string;
  readonly stats = new DestinationStats();
  readonly queuedSpans = 0;
  readonly queuedBytes = 0;
  readonly capacityBytes = 0;
  private readonly sink: TraceSink;
  private readonly log: Log;

  constructor(sink: TraceSink, log: Log) {
    this.name = sink.name;
    this.sink = sink;
    this.log = log;
  }

  accept(request: CountedRequest): void {
    this.stats.accepted += request.spans;
    try {
      this.sink.accept(request.bytes);
      this.stats.sent += request.spans;
    } catch (error) {
      if (!this.stats.dropped.has('sink_error')) {
        this.log.error(
          { sink: this.name, error: errorMessage(error) },
          'a sink failed; its further failures are only counted',
        );
      }
      this.stats.drop('sink_error', request.spans);
    }
  }

  async drain(): Promise<void> {}
}
