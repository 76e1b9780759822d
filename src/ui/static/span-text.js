// Whether a span contains a text: what "Find" in a trace looks at.

/** `text` in lower case; looks at ids, service, operation, kind, tags, process tags, log fields and warnings. */
export function matchesText(node, text) {
  const { span, process } = node;
  const contains = (value) => String(value).toLowerCase().includes(text);
  const inTags = (tags) =>
    tags.some((tag) => contains(tag.key) || contains(tag.value) || contains(`${tag.key}=${tag.value}`));
  return (
    [node.service, node.name, node.kind, span.spanID].some(contains) ||
    inTags(span.tags) ||
    inTags(process?.tags ?? []) ||
    span.logs.some((log) => inTags(log.fields))
  );
}
