import { EditorState } from "@codemirror/state";
import { keymap } from "@codemirror/view";
import { basicSetup, EditorView } from "codemirror";
import { useEffect, useRef, useState } from "preact/hooks";
import { attempt } from "../../ui/toast.tsx";
import { languageOf } from "./languages.ts";

interface Props {
  path: string;
  text: string;
  isReadOnly: boolean;
  save: (text: string) => Promise<void>;
}

/** A text in an editor with the colours of its language. Ctrl+S stores it. */
export default function Editor({ path, text, isReadOnly, save }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const [isChanged, setIsChanged] = useState(false);
  const storing = useRef<() => void>(() => undefined);
  storing.current = () => {
    const current = view.current?.state.sliceDoc() ?? "";
    void attempt(() => save(current), `Saved ${path}`).then((isSaved) => {
      if (isSaved) setIsChanged(view.current?.state.sliceDoc() !== current);
    });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new file is a new component
  useEffect(() => {
    if (box.current === null) return;
    const store = () => {
      if (!isReadOnly) storing.current();
      return true;
    };
    const made = new EditorView({
      parent: box.current,
      doc: text,
      extensions: [
        keymap.of([{ key: "Mod-s", run: store, preventDefault: true }]),
        basicSetup,
        languageOf(path),
        // The file keeps its ends of lines.
        EditorState.lineSeparator.of(/(^|[^\r])\n/.test(text) || !text.includes("\r\n") ? "\n" : "\r\n"),
        EditorState.readOnly.of(isReadOnly),
        EditorView.contentAttributes.of({ "aria-label": path }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) setIsChanged(true);
        }),
      ],
    });
    view.current = made;
    return () => made.destroy();
  }, []);
  return (
    <div class="editor-page">
      {!isReadOnly && (
        <div class="bar small">
          <button type="button" class="primary" disabled={!isChanged} onClick={() => storing.current()}>
            Save
          </button>
          <span class="hint" role="status">
            {isChanged ? "not saved" : "saved"}
          </span>
        </div>
      )}
      <div ref={box} class="editor" />
    </div>
  );
}
