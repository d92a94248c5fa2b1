import { lazy, Suspense } from "preact/compat";
import { Markdown } from "./markdown.tsx";
import type { Item } from "./transcript.ts";

const Diff = lazy(() => import("../../ui/diff.tsx"));

const SIGNS: Readonly<Record<string, string>> = {
  pending: "○",
  in_progress: "◐",
  completed: "●",
  failed: "✕",
};

/** One part of a transcript. */
export function ItemView({ item }: { item: Item }) {
  switch (item.kind) {
    case "user":
      return (
        <article class="item user" aria-label="Prompt">
          <pre class="wrap">{item.text}</pre>
        </article>
      );
    case "agent":
      return (
        <article class="item agent" aria-label="Answer">
          <Markdown text={item.text} />
        </article>
      );
    case "thought":
      return (
        <details class="item thought">
          <summary>Thought</summary>
          <Markdown text={item.text} />
        </details>
      );
    case "tool":
      return <Tool item={item} />;
    case "plan":
      return (
        <section class="item plan" aria-label="Plan">
          <h3>Plan</h3>
          <ul>
            {item.steps.map(({ text, status }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a step has nothing but its place
              <li key={index} class={status}>
                <span aria-hidden="true">{SIGNS[status] ?? "○"}</span> {text}
                <span class="hint"> {status.replace("_", " ")}</span>
              </li>
            ))}
          </ul>
        </section>
      );
    case "permission":
      return (
        <p class="item note">
          Permission: {item.title} — <strong>{item.answer ?? "waits for an answer"}</strong>
        </p>
      );
    case "note":
      return <p class={item.isBad ? "item note bad" : "item note"}>{item.text}</p>;
  }
}

function Tool({ item }: { item: Item & { kind: "tool" } }) {
  const { title, status, toolKind, texts, diffs, places } = item;
  return (
    <details class={`item tool ${status}`} open={diffs.length > 0}>
      <summary>
        <span aria-hidden="true">{SIGNS[status] ?? "○"}</span> {title || toolKind}{" "}
        <span class="hint">
          {toolKind} · {status.replace("_", " ")}
        </span>
      </summary>
      {places.length > 0 && <p class="hint">{places.join(", ")}</p>}
      {texts.map((text, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a text has nothing but its place
        <pre class="wrap" key={index}>
          {text}
        </pre>
      ))}
      {diffs.map(({ path, before, after }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two changes may name one file
        <figure key={index}>
          <figcaption>
            <code>{path}</code>
          </figcaption>
          <Suspense fallback={<p class="hint">…</p>}>
            <Diff before={before} after={after} label={path} />
          </Suspense>
        </figure>
      ))}
    </details>
  );
}
