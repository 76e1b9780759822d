// Counts the messages and frames of one direction of a WebSocket (RFC 6455 section 5.2), resumable at any byte.

const Field = {
  opcode: 0,
  length: 1,
  extendedLength: 2,
  /** The masking key and the payload, of which nothing is looked at. */
  skipped: 3,
} as const;

const continuation = 0;
const lastDataOpcode = 2;
const firstControlOpcode = 8;
const lastControlOpcode = 10;
const maskBytes = 4;
const maxControlPayloadBytes = 125;

/** Reads the bytes behind the 101, with permessage-deflate (RFC 7692) or without, masked or not. */
export class FrameCounter {
  /** Data messages that ended: text or binary, with all their continuations. */
  messages = 0;
  /** Frames that ended, control frames among them. */
  frames = 0;
  /** Close, ping and pong. */
  controlFrames = 0;
  /** These are no WebSocket frames, or the peers agreed on what is not in the RFC; nothing more is read. */
  failed = false;

  #field: number = Field.opcode;
  #isFinal = false;
  #isControl = false;
  /** Whether a data message has begun and its final frame has not. */
  #inMessage = false;
  #isMasked = false;
  #lengthBytes = 0;
  #length = 0;
  #left = 0;

  /** Reads `bytes[from..to)`. */
  read(bytes: Uint8Array, from: number, to: number): void {
    let p = from;
    while (p < to && !this.failed) {
      if (this.#field === Field.skipped) {
        const take = Math.min(to - p, this.#left);
        this.#left -= take;
        p += take;
        if (this.#left === 0) this.#endFrame();
      } else this.#readHeader(bytes[p++]!);
    }
  }

  #readHeader(byte: number): void {
    switch (this.#field) {
      case Field.opcode:
        this.#startFrame((byte & 0x80) !== 0, byte & 0x0f);
        break;
      case Field.length:
        this.#isMasked = (byte & 0x80) !== 0;
        this.#startLength(byte & 0x7f);
        break;
      default:
        this.#length = this.#length * 256 + byte;
        if (--this.#lengthBytes === 0) this.#startPayload();
    }
  }

  /** Section 5.4 and 5.5: control frames are whole, and come between the fragments of a message; messages do not. */
  #startFrame(isFinal: boolean, opcode: number): void {
    this.#isControl = opcode >= firstControlOpcode;
    const isKnown = this.#isControl ? opcode <= lastControlOpcode && isFinal : opcode <= lastDataOpcode;
    const isInOrder = this.#isControl || (opcode === continuation) === this.#inMessage;
    this.failed = !isKnown || !isInOrder;
    this.#isFinal = isFinal;
    if (!this.#isControl) this.#inMessage = !isFinal;
    this.#field = Field.length;
  }

  #startLength(length: number): void {
    this.#length = length;
    if (length <= maxControlPayloadBytes) {
      this.#startPayload();
    } else {
      this.failed = this.#isControl;
      this.#length = 0;
      this.#lengthBytes = length === 126 ? 2 : 8;
      this.#field = Field.extendedLength;
    }
  }

  #startPayload(): void {
    // Section 5.2 allows 2^63 - 1; of such a frame nobody would see the end.
    this.failed = this.#length > Number.MAX_SAFE_INTEGER - maskBytes;
    this.#left = this.#length + (this.#isMasked ? maskBytes : 0);
    this.#field = Field.skipped;
    if (this.#left === 0) this.#endFrame();
  }

  #endFrame(): void {
    this.frames++;
    if (this.#isControl) this.controlFrames++;
    else if (this.#isFinal) this.messages++;
    this.#field = Field.opcode;
  }
}
