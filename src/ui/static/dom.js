// Builds elements. Text only ever becomes text nodes and attribute values: span data is written by strangers.

/**
 * An element. `attributes`: `on` takes event listeners, `style` custom properties and styles, true and false switch an
 * attribute on and off; children are nodes or text, and null leaves a gap.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on') for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    else if (name === 'style') for (const [key, css] of Object.entries(value)) element.style.setProperty(key, css);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  append(element, children);
  return element;
}

/** Empties `element` and fills it. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

function append(element, children) {
  for (const child of children.flat(Number.POSITIVE_INFINITY)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}
