// The walk over one Span, Resource or InstrumentationScope: every field of every nested message is checked.
import { maxNesting } from '../../wire/protobuf-reader.ts';
import { anyValueTag, eventTag, keyValueTag, linkTag, resourceTag, scopeTag, spanTag, statusTag } from './fields.ts';
import type { Walker } from './walker.ts';

type MessageWalk = (walker: Walker, end: number, depth: number) => boolean;

/** How deep below the request these messages lie; attributes of theirs are one level further down. */
const spanDepth = 3;
const scopeDepth = 3;
const resourceDepth = 2;

/** Walks a length-delimited field; the cursor stands before its length. */
function message(walker: Walker, end: number, walk: MessageWalk, depth: number): boolean {
  if (depth > maxNesting) return walker.fail(`nested more than ${maxNesting} levels deep`);
  const stop = walker.fieldEnd(end);
  return stop >= 0 && walk(walker, stop, depth);
}

/** A field that no case knew: legal if its number is new, a fault if the number is known and the wire type is not. */
function otherField(walker: Walker, tag: number, end: number, highestKnown: number): boolean {
  return tag >>> 3 <= highestKnown ? walker.wrongType(tag) : walker.skip(tag, end);
}

/**
 * Walks a Span up to `end`.
 * Ids: trace_id 16 bytes and span_id 8, both there and not all zero; parent_span_id 8 or none. An all-zero parent is
 * let through, as the Collector does: it is what some SDKs send for a root.
 */
export function walkSpan(walker: Walker, end: number): boolean {
  let hasTraceId = false;
  let hasSpanId = false;
  while (walker.position < end) {
    const tag = walker.tag(end);
    switch (tag) {
      case spanTag.attributes:
        if (!keyValue(walker, end, spanDepth + 1)) return false;
        break;
      case spanTag.traceId:
        if (!requiredId(walker, end, 16, 'trace_id')) return false;
        hasTraceId = true;
        break;
      case spanTag.spanId:
        if (!requiredId(walker, end, 8, 'span_id')) return false;
        hasSpanId = true;
        break;
      default:
        if (!spanField(walker, tag, end)) return false;
    }
  }
  if (!hasTraceId) return walker.fail('no trace_id');
  return hasSpanId || walker.fail('no span_id');
}

function spanField(walker: Walker, tag: number, end: number): boolean {
  switch (tag) {
    case spanTag.startTimeUnixNano:
    case spanTag.endTimeUnixNano:
      return walker.fixed(8, end);
    case spanTag.name:
    case spanTag.traceState:
      return walker.string(end);
    case spanTag.parentSpanId:
      return optionalId(walker, end, 8, 'parent_span_id');
    case spanTag.kind:
    case spanTag.droppedAttributesCount:
    case spanTag.droppedEventsCount:
    case spanTag.droppedLinksCount:
      return walker.varint(end);
    case spanTag.status:
      return message(walker, end, status, spanDepth + 1);
    case spanTag.flags:
      return walker.fixed(4, end);
    case spanTag.events:
      return message(walker, end, event, spanDepth + 1);
    case spanTag.links:
      return message(walker, end, link, spanDepth + 1);
    default:
      return tag >= 0 && otherField(walker, tag, end, 16);
  }
}

/** Walks a Resource up to `end`. */
export function walkResource(walker: Walker, end: number): boolean {
  while (walker.position < end) {
    const tag = walker.tag(end);
    let ok = false;
    if (tag === resourceTag.attributes) ok = keyValue(walker, end, resourceDepth + 1);
    else if (tag === resourceTag.droppedAttributesCount) ok = walker.varint(end);
    else if (tag === resourceTag.entityRefs) ok = message(walker, end, entityRef, resourceDepth + 1);
    else ok = tag >= 0 && otherField(walker, tag, end, 3);
    if (!ok) return false;
  }
  return true;
}

/** Walks an InstrumentationScope up to `end`. */
export function walkScope(walker: Walker, end: number): boolean {
  while (walker.position < end) {
    const tag = walker.tag(end);
    let ok = false;
    if (tag === scopeTag.name || tag === scopeTag.version) ok = walker.string(end);
    else if (tag === scopeTag.attributes) ok = keyValue(walker, end, scopeDepth + 1);
    else if (tag === scopeTag.droppedAttributesCount) ok = walker.varint(end);
    else ok = tag >= 0 && otherField(walker, tag, end, 4);
    if (!ok) return false;
  }
  return true;
}

/** EntityRef: four fields, all of them strings. */
function entityRef(walker: Walker, end: number): boolean {
  while (walker.position < end) {
    const tag = walker.tag(end);
    const isString = (tag & 7) === 2 && tag >>> 3 <= 4 && tag >= 0;
    const ok = isString ? walker.string(end) : tag >= 0 && otherField(walker, tag, end, 4);
    if (!ok) return false;
  }
  return true;
}

function event(walker: Walker, end: number, depth: number): boolean {
  while (walker.position < end) {
    const tag = walker.tag(end);
    let ok = false;
    if (tag === eventTag.timeUnixNano) ok = walker.fixed(8, end);
    else if (tag === eventTag.name) ok = walker.string(end);
    else if (tag === eventTag.attributes) ok = keyValue(walker, end, depth + 1);
    else if (tag === eventTag.droppedAttributesCount) ok = walker.varint(end);
    else ok = tag >= 0 && otherField(walker, tag, end, 4);
    if (!ok) return false;
  }
  return true;
}

function link(walker: Walker, end: number, depth: number): boolean {
  while (walker.position < end) {
    const tag = walker.tag(end);
    let ok = false;
    if (tag === linkTag.traceId) ok = optionalId(walker, end, 16, "a link's trace_id");
    else if (tag === linkTag.spanId) ok = optionalId(walker, end, 8, "a link's span_id");
    else if (tag === linkTag.traceState) ok = walker.string(end);
    else if (tag === linkTag.attributes) ok = keyValue(walker, end, depth + 1);
    else if (tag === linkTag.droppedAttributesCount) ok = walker.varint(end);
    else if (tag === linkTag.flags) ok = walker.fixed(4, end);
    else ok = tag >= 0 && otherField(walker, tag, end, 6);
    if (!ok) return false;
  }
  return true;
}

/** Field 1 of Status is reserved (a deprecated code of old senders): it passes, whatever its wire type. */
function status(walker: Walker, end: number): boolean {
  while (walker.position < end) {
    const tag = walker.tag(end);
    let ok = false;
    if (tag === statusTag.message) ok = walker.string(end);
    else if (tag === statusTag.code) ok = walker.varint(end);
    else if (tag >>> 3 === 1) ok = tag >= 0 && walker.skip(tag, end);
    else ok = tag >= 0 && otherField(walker, tag, end, 3);
    if (!ok) return false;
  }
  return true;
}

function keyValue(walker: Walker, outerEnd: number, depth: number): boolean {
  if (depth > maxNesting) return walker.fail(`nested more than ${maxNesting} levels deep`);
  const end = walker.fieldEnd(outerEnd);
  if (end < 0) return false;
  while (walker.position < end) {
    const tag = walker.tag(end);
    let ok = false;
    if (tag === keyValueTag.key) ok = walker.string(end);
    else if (tag === keyValueTag.value) ok = anyValue(walker, end, depth + 1);
    else if (tag === keyValueTag.keyStrindex) ok = walker.varint(end);
    else ok = tag >= 0 && otherField(walker, tag, end, 3);
    if (!ok) return false;
  }
  return true;
}

function anyValue(walker: Walker, outerEnd: number, depth: number): boolean {
  if (depth > maxNesting) return walker.fail(`nested more than ${maxNesting} levels deep`);
  const end = walker.fieldEnd(outerEnd);
  if (end < 0) return false;
  while (walker.position < end) {
    const tag = walker.tag(end);
    let ok = false;
    if (tag === anyValueTag.stringValue) ok = walker.string(end);
    else if (tag === anyValueTag.intValue || tag === anyValueTag.boolValue) ok = walker.varint(end);
    else if (tag === anyValueTag.doubleValue) ok = walker.fixed(8, end);
    else if (tag === anyValueTag.arrayValue) ok = message(walker, end, arrayOfValues, depth + 1);
    else if (tag === anyValueTag.kvlistValue) ok = message(walker, end, listOfKeyValues, depth + 1);
    else if (tag === anyValueTag.bytesValue) ok = walker.skip(tag, end);
    else if (tag === anyValueTag.stringValueStrindex) ok = walker.varint(end);
    else ok = tag >= 0 && otherField(walker, tag, end, 8);
    if (!ok) return false;
  }
  return true;
}

const arrayOfValues: MessageWalk = (walker, end, depth) => values(walker, end, depth, anyValue);
const listOfKeyValues: MessageWalk = (walker, end, depth) => values(walker, end, depth, keyValue);

function values(walker: Walker, end: number, depth: number, item: MessageWalk): boolean {
  while (walker.position < end) {
    const tag = walker.tag(end);
    const ok = tag === 0x0a ? item(walker, end, depth + 1) : tag >= 0 && otherField(walker, tag, end, 1);
    if (!ok) return false;
  }
  return true;
}

function requiredId(walker: Walker, end: number, size: number, name: string): boolean {
  const stop = walker.fieldEnd(end);
  if (stop < 0) return false;
  const { bytes, position } = walker;
  if (stop - position !== size) return walker.fail(`${name} of ${stop - position} bytes, not ${size}`);
  walker.position = stop;
  for (let index = position; index < stop; index++) if (bytes[index] !== 0) return true;
  return walker.fail(`${name} is all zero`);
}

function optionalId(walker: Walker, end: number, size: number, name: string): boolean {
  const stop = walker.fieldEnd(end);
  if (stop < 0) return false;
  const length = stop - walker.position;
  walker.position = stop;
  return length === 0 || length === size || walker.fail(`${name} of ${length} bytes, not ${size}`);
}
