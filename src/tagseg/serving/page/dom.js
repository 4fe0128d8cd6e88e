// Elements. Foreign text (file names, class names, errors) only ever becomes text, never markup.

export const byId = (id) => document.getElementById(id);

/** A new element: properties are set as they are, `data` as data attributes, `aria` as ARIA attributes. */
export function el(tag, { data = {}, aria = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  Object.assign(made.dataset, data);
  for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A square of a class's colour. */
export function swatch(colour) {
  const made = el("span", { className: "swatch", aria: { hidden: "true" } });
  made.style.setProperty("--colour", colour);
  return made;
}

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;

/** The same call later, once nothing has asked for it during `wait` milliseconds. */
export function after(wait, call) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...given), wait);
  };
}
