// Remembers which batches of which sender were taken, so that a repeat is answered without being stored again.

/** `<instance>/<epoch>/<seq>`: who sends, which life of it, which batch. */
const batchIdForm = /^([\x21-\x7e]{1,200}\/[\x21-\x7e]{1,40})\/(\d{1,15})$/;

/**
 * The last answers by sender. Bounded both ways: `perSender` batches each, and the least recently heard sender is
 * forgotten when there are more than `maxSenders`.
 */
export class BatchIds<Answer> {
  private readonly senders = new Map<string, Map<number, Answer>>();
  private readonly perSender: number;
  private readonly maxSenders: number;

  constructor(perSender = 1024, maxSenders = 1024) {
    this.perSender = perSender;
    this.maxSenders = maxSenders;
  }

  /** The answer this batch got before; undefined for a new one, for no id and for one that has not the form. */
  find(batchId: string | undefined): Answer | undefined {
    const parts = parse(batchId);
    return parts === undefined ? undefined : this.senders.get(parts.sender)?.get(parts.sequence);
  }

  /** To be called once the batch is where it cannot be refused any more. */
  remember(batchId: string | undefined, answer: Answer): void {
    const parts = parse(batchId);
    if (parts === undefined) return;
    const batches = this.senders.get(parts.sender) ?? new Map<number, Answer>();
    this.senders.delete(parts.sender);
    this.senders.set(parts.sender, batches);
    batches.set(parts.sequence, answer);
    if (batches.size > this.perSender) deleteFirst(batches);
    if (this.senders.size > this.maxSenders) deleteFirst(this.senders);
  }
}

function parse(batchId: string | undefined): { sender: string; sequence: number } | undefined {
  const match = batchId === undefined ? null : batchIdForm.exec(batchId);
  return match === null ? undefined : { sender: match[1]!, sequence: Number(match[2]) };
}

/** A Map keeps the order of insertion: its first key is the oldest. */
function deleteFirst<K, V>(map: Map<K, V>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
