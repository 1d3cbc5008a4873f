/* The controls of a method, made from what the studio tells of its signature. */
import { t } from "./words.js";

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
export { make };

/* Return a form of a method's options; changed(options) is called with those that are not left at their defaults. */
export function optionsForm(method, layers, options, changed) {
  const form = make("form", { className: "options" });
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const control of method.controls) {
    const value = control.name in options ? options[control.name] : control.default;
    form.append(make("label", {}, make("span", { textContent: control.name }), field(control, layers, value, (chosen) => {
      const next = { ...options, [control.name]: chosen };
      if (chosen === control.default || chosen === undefined) delete next[control.name];
      options = next;
      changed(next);
    })));
  }
  return form;
}

function field(control, layers, value, changed) {
  const named = control.layer ? layers : control.choices;
  const number = control.number ? numberField(control, value, changed) : null;
  if (!named.length && number) {
    if (control.optional) number.placeholder = t("none");
    return number;
  }
  const select = make("select");
  if (control.optional) select.append(make("option", { value: "", textContent: control.layer ? t("default") : t("none") }));
  for (const name of named) select.append(make("option", { value: name, textContent: name }));
  if (number) select.append(make("option", { value: "\u0000", textContent: t("a_number") }));
  select.value = typeof value === "number" ? "\u0000" : value ?? "";
  if (!number) {
    select.addEventListener("change", () => changed(select.value === "" ? null : select.value));
    return select;
  }
  number.hidden = select.value !== "\u0000";
  select.addEventListener("change", () => {
    number.hidden = select.value !== "\u0000";
    if (number.hidden) changed(select.value === "" ? null : select.value);
    else if (number.value !== "") changed(Number(number.value));
  });
  return make("span", { className: "either" }, select, number);
}

function numberField(control, value, changed) {
  const input = make("input", { type: "number", step: control.number === "whole" ? "1" : "any", inputMode: "decimal" });
  input.value = typeof value === "number" ? value : "";
  input.addEventListener("change", () => {
    if (input.value === "") changed(control.optional ? null : undefined);
    else changed(Number(input.value));
  });
  return input;
}
