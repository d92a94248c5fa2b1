import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  before: string;
  after: string;
  label: string;
}

/** Longest text that is compared. */
const MAX_CHARACTERS = 500_000;

/** Two texts: side by side on a wide page, else one below the other. */
export default function Diff({ before, after, label }: Props) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const parent = box.current;
    if (parent === null) return;
    const [a, b] = [before.slice(0, MAX_CHARACTERS), after.slice(0, MAX_CHARACTERS)];
    const extensions = (side: string) => [
      lineNumbers(),
      EditorView.lineWrapping,
      EditorState.readOnly.of(true),
      EditorView.editable.of(false),
      EditorView.contentAttributes.of({ "aria-label": `${label}, ${side}` }),
    ];
    const collapseUnchanged = { margin: 3, minSize: 6 };
    if (parent.clientWidth > 700) {
      const made = new MergeView({
        parent,
        a: { doc: a, extensions: extensions("before") },
        b: { doc: b, extensions: extensions("after") },
        collapseUnchanged,
      });
      return () => made.destroy();
    }
    const unified = unifiedMergeView({ original: a, mergeControls: false, collapseUnchanged });
    const made = new EditorView({ parent, doc: b, extensions: [...extensions("changes"), unified] });
    return () => made.destroy();
  }, [before, after, label]);
  return <div ref={box} class="diff" />;
}
