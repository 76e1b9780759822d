// The path of a request through the collector, in order: known batch? walk, fan out, remember.
import type { Malformed, Walked } from '../formats/otlp/walk.ts';
import { BatchIds } from './batch-ids.ts';
import type { Destination } from './destination.ts';

export type TransportName = 'grpc' | 'http';

/** What the sender is told. A request is only ever refused for what it is, never for what a destination did. */
export type Answer =
  | { readonly kind: 'taken'; readonly rejectedSpans: number; readonly errorMessage: string }
  | Malformed;

/** Counts of one receiver, by transport. */
export class ReceiverStats {
  acceptedSpans = 0;
  /** Bad spans, cut out of their requests. */
  refusedSpans = 0;
  malformedRequests = 0;
  repeatedBatches = 0;
  repeatedSpans = 0;
}

interface Taken {
  readonly answer: Answer;
  readonly spans: number;
}

export class Pipeline {
  readonly stats: Readonly<Record<TransportName, ReceiverStats>> = {
    grpc: new ReceiverStats(),
    http: new ReceiverStats(),
  };
  private readonly destinations: readonly Destination[];
  private readonly batchIds = new BatchIds<Taken>();

  constructor(destinations: readonly Destination[]) {
    this.destinations = destinations;
  }

  /**
   * Takes one request. Synchronous from the check of its id to the last queue, so that two copies of a batch can never
   * both be new.
   * @param batchId the sender's `tracecar-batch`
   * @param walk validates the body; not called for a batch that was taken before
   */
  receive(transport: TransportName, batchId: string | undefined, walk: () => Walked | Malformed): Answer {
    const stats = this.stats[transport];
    const earlier = this.batchIds.find(batchId);
    if (earlier !== undefined) {
      stats.repeatedBatches++;
      stats.repeatedSpans += earlier.spans;
      return earlier.answer;
    }
    const walked = walk();
    if (walked.kind === 'malformed') {
      stats.malformedRequests++;
      return walked;
    }
    stats.acceptedSpans += walked.acceptedSpans;
    stats.refusedSpans += walked.rejectedSpans;
    this.fanOut(walked);
    const answer: Answer = { kind: 'taken', rejectedSpans: walked.rejectedSpans, errorMessage: walked.reason };
    this.batchIds.remember(batchId, { answer, spans: walked.acceptedSpans });
    return answer;
  }

  private fanOut({ bytes, acceptedSpans: spans }: Walked): void {
    if (spans === 0) return;
    for (const destination of this.destinations) destination.accept({ bytes, spans });
  }
}
