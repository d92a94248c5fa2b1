import { pageHeaders, STYLE } from "./refusals.ts";

/** Field of the form. A request of an app that happens to have the field is still only a guess at the password. */
const FIELD = "agent-vm-password";

/** Bytes of a form that the server reads. */
export const MAX_FORM_BYTES = 4_096;

const FORM_STYLE = "input,button{font:inherit;padding:.4em .6em;margin:.3em .3em .3em 0}";

/** Headers of the page: no other page may frame it, and the form goes to the preview only. */
export const LOGIN_HEADERS = {
  ...pageHeaders("default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"),
  "x-frame-options": "DENY",
};

/**
 * Returns the page with the form, which posts to the URL that the browser has opened.
 *
 * @param asked what opens the preview: `password`, `token` or `password or token`
 */
export function loginPage(asked: string, problem: string | undefined): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>This preview is locked</title><style>${STYLE}
${FORM_STYLE}</style>
<h1>This preview is locked</h1>
<form method="post"><label>Its ${asked}: <input type="password" name="${FIELD}" autocomplete="current-password" autofocus required></label>
<button>Open</button></form>
<p role="alert">${problem ?? ""}</p></html>`;
}

export function passwordIn(form: string): string | undefined {
  return new URLSearchParams(form).get(FIELD) ?? undefined;
}
