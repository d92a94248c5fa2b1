import { lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { useMachine } from "../../state/context.ts";
import { Empty, Failure } from "../../ui/parts.tsx";
import { type FileText, fileText, type Side } from "./file-text.ts";

const Diff = lazy(() => import("../../ui/diff.tsx"));

interface Props {
  path: string;
  from: Side;
  to: Side;
  onClose: () => void;
}

/** The text of one file on both sides. */
export function FileDiff({ path, from, to, onClose }: Props) {
  const { vm } = useMachine();
  const [texts, setTexts] = useState<{ before: FileText; after: FileText }>();
  const [error, setError] = useState<Error>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another path or side is another component
  useEffect(() => {
    let isOver = false;
    Promise.all([fileText(vm, from, path), fileText(vm, to, path)]).then(
      ([before, after]) => {
        if (!isOver) setTexts({ before, after });
      },
      (failure: Error) => {
        if (!isOver) setError(failure);
      },
    );
    return () => {
      isOver = true;
    };
  }, []);
  const notes = [
    texts?.before.note && `Before: ${texts.before.note}`,
    texts?.after.note && `After: ${texts.after.note}`,
  ].filter(Boolean);
  const isSame = texts !== undefined && texts.before.text === texts.after.text;
  return (
    <section class="file-diff" aria-label={`Difference of ${path}`}>
      <div class="bar small">
        <code class="path">{path}</code>
        <span class="hint">{notes.join(" ")}</span>
        <span class="grow" />
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <Failure error={error} />
      {texts === undefined ? (
        error === undefined && <Empty>…</Empty>
      ) : isSame ? (
        <Empty>Both sides have the same text.</Empty>
      ) : (
        <Suspense fallback={<Empty>…</Empty>}>
          <Diff before={texts.before.text} after={texts.after.text} label={path} />
        </Suspense>
      )}
    </section>
  );
}
