import DOMPurify from "dompurify";
import { Marked } from "marked";
import { useMemo } from "preact/hooks";

/** Longest text that becomes markup. A longer one stays text. */
const MAX_CHARACTERS = 100_000;

/** Markup of a text is Markdown. HTML in it is shown as it is written. */
const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`),
  },
});

const purifier = DOMPurify(window);
purifier.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  // A link leaves the console: it opens elsewhere and gets no handle of this window.
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer");
});

/** Elements of text. No image and no style: an agent's text makes no request and covers no part of the page. */
const RULES = {
  ALLOWED_TAGS: [
    ..."p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong del a".split(" "),
    ..."table thead tbody tr th td".split(" "),
  ],
  ALLOWED_ATTR: ["href", "align", "start"],
  ALLOWED_URI_REGEXP: /^https?:\/\//i,
};

/** An agent's text with its markup. */
export function Markdown({ text }: { text: string }) {
  const html = useMemo(() => {
    if (text.length > MAX_CHARACTERS) return undefined;
    try {
      return purifier.sanitize(marked.parse(text, { async: false }), RULES);
    } catch {
      // Quotes in quotes without end exceed the stack: the text stays text.
      return undefined;
    }
  }, [text]);
  if (html === undefined) return <pre class="wrap">{text}</pre>;
  // biome-ignore lint/security/noDangerouslySetInnerHtml: DOMPurify has cleaned it
  return <div class="markdown" dangerouslySetInnerHTML={{ __html: html }} />;
}
