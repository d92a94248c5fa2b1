import { css } from "@codemirror/lang-css";
import { html } from "@codemirror/lang-html";
import { javascript } from "@codemirror/lang-javascript";
import { json } from "@codemirror/lang-json";
import { markdown } from "@codemirror/lang-markdown";
import { python } from "@codemirror/lang-python";
import type { Extension } from "@codemirror/state";

const script = (options: { jsx?: boolean; typescript?: boolean }) => () => javascript(options);

const LANGUAGES: Readonly<Record<string, () => Extension>> = {
  css,
  html,
  htm: html,
  svelte: html,
  vue: html,
  js: script({ jsx: true }),
  cjs: script({}),
  mjs: script({}),
  jsx: script({ jsx: true }),
  ts: script({ typescript: true }),
  mts: script({ typescript: true }),
  tsx: script({ typescript: true, jsx: true }),
  json,
  md: markdown,
  py: python,
};

/** Returns the language of a file by its name; none for a name that says nothing. */
export function languageOf(path: string): Extension {
  const extension = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  return Object.hasOwn(LANGUAGES, extension) ? (LANGUAGES[extension]?.() ?? []) : [];
}
