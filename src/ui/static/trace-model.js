// The tree of a trace, from Jaeger's UI JSON: who is whose child, what is missing, what cannot be.

/**
 * @param trace one element of `data` of /api/traces
 * @returns `{ traceId, nodes, roots, startUs, endUs, durationUs, services, errorCount, depth, name }`; `nodes` are all
 *   in the order of the waterfall, each `{ span, service, kind, isError, parent, children, depth, notes, ... }`
 */
export function buildTrace(trace) {
  const nodes = trace.spans.map((span) => toNode(span, trace.processes[span.processID]));
  const byId = new Map();
  for (const node of nodes) byId.set(node.span.spanID, [...(byId.get(node.span.spanID) ?? []), node]);
  for (const node of nodes) attach(node, byId);
  const roots = nodes.filter((node) => node.parent === null);
  const ordered = order(roots);
  const reached = new Set(ordered);
  // Spans whose parents form a ring hang on no root: the earliest of each ring is shown as one.
  for (const node of nodes) {
    if (reached.has(node)) continue;
    node.parent.children.splice(node.parent.children.indexOf(node), 1);
    node.parent = null;
    node.notes.push('Its parents form a loop; it is shown at the top.');
    roots.push(node);
    for (const member of order([node])) {
      reached.add(member);
      ordered.push(member);
    }
  }
  for (const node of ordered) {
    if (node.parent !== null && node.startUs < node.parent.startUs) node.notes.push(skewNote(node, node.parent));
  }
  return summarise(trace.traceID, ordered, roots);
}

/** Root and totals of a trace without its tree: all that a list needs. */
export function summarise(traceId, nodes, roots) {
  const startUs = nodes.reduce((least, node) => Math.min(least, node.startUs), Number.POSITIVE_INFINITY);
  const endUs = nodes.reduce((most, node) => Math.max(most, node.endUs), 0);
  const services = new Map();
  for (const { service, isError } of nodes) {
    const known = services.get(service) ?? { spans: 0, errors: 0 };
    services.set(service, { spans: known.spans + 1, errors: known.errors + (isError ? 1 : 0) });
  }
  const root = roots.find((node) => node.missingParent === null) ?? roots[0];
  return {
    traceId,
    nodes,
    roots,
    root,
    isIncomplete: roots.some((node) => node.missingParent !== null),
    startUs,
    endUs,
    durationUs: Math.max(0, endUs - startUs),
    services,
    errorCount: nodes.filter((node) => node.isError).length,
    depth: nodes.reduce((most, node) => Math.max(most, node.depth + 1), 0),
  };
}

function toNode(span, process) {
  const tag = (key) => span.tags.find((each) => each.key === key)?.value;
  return {
    span,
    process,
    service: process?.serviceName ?? 'unknown',
    name: span.operationName,
    kind: String(tag('span.kind') ?? ''),
    isError: span.tags.some(isErrorTag),
    startUs: span.startTime,
    endUs: span.startTime + span.duration,
    parent: null,
    missingParent: null,
    children: [],
    depth: 0,
    hasErrorBelow: false,
    descendantCount: 0,
    notes: [...(span.warnings ?? []).filter((warning) => !warning.includes('clock skew adjustment'))],
  };
}

function isErrorTag({ key, value }) {
  return (key === 'error' && (value === true || value === 'true')) || (key === 'otel.status_code' && value === 'ERROR');
}

function attach(node, byId) {
  const { span } = node;
  const own = span.references.filter((reference) => reference.traceID === span.traceID);
  const reference = own.find((each) => each.refType === 'CHILD_OF') ?? own[0];
  // B3 lets a client and a server report one span id between them: the server's half hangs under the client's.
  const halves = byId.get(span.spanID);
  const clientHalf = halves.length > 1 && node.kind === 'server' && halves.find((each) => each.kind === 'client');
  const parent = clientHalf || (reference && pickParent(node, byId.get(reference.spanID) ?? []));
  if (parent) {
    node.parent = parent;
    parent.children.push(node);
  } else if (reference?.refType === 'CHILD_OF' || (reference && !byId.has(reference.spanID))) {
    node.missingParent = reference.spanID;
    node.notes.push(
      reference.spanID === span.spanID
        ? 'It names itself as its parent; it is shown at the top.'
        : `Its parent ${reference.spanID} is not in this trace (not received, or not sampled); it is shown at the top.`,
    );
  }
}

function skewNote(node, parent) {
  const where = node.service === parent.service ? '' : ` (${parent.service})`;
  return `It starts before its parent${where}: the two clocks disagree, or the parent was reported late. Times are shown as reported.`;
}

/** Of two spans that share the parent's id, the one in the child's own service, else the server's half. */
function pickParent(node, candidates) {
  const others = candidates.filter((each) => each !== node);
  return (
    others.find((each) => each.service === node.service) ?? others.find((each) => each.kind === 'server') ?? others[0]
  );
}

/** Depth first, siblings by start; without recursion, for a trace may be as deep as it is long. */
function order(roots) {
  const result = [];
  const stack = [...roots].sort(byStart).reverse();
  while (stack.length > 0) {
    const node = stack.pop();
    node.depth = node.parent === null ? 0 : node.parent.depth + 1;
    result.push(node);
    node.children.sort(byStart);
    for (let i = node.children.length - 1; i >= 0; i--) stack.push(node.children[i]);
  }
  for (let i = result.length - 1; i >= 0; i--) {
    const { parent, isError, hasErrorBelow, descendantCount } = result[i];
    if (parent === null) continue;
    parent.hasErrorBelow ||= isError || hasErrorBelow;
    parent.descendantCount += descendantCount + 1;
  }
  return result;
}

function byStart(a, b) {
  return a.startUs - b.startUs || (a.span.spanID < b.span.spanID ? -1 : 1);
}
