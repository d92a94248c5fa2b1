import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { useMachine } from "../../state/context.ts";
import { attempt, tellError } from "../../ui/toast.tsx";
import { joined } from "./tree.ts";

interface Props {
  /** Directory that gets the files. */
  folder: string;
  onDone: () => void;
  children: ComponentChildren;
}

/** Takes files that are dropped, or chosen with a button. */
export function Upload({ folder, onDone, children }: Props) {
  const { vm } = useMachine();
  const [isOver, setIsOver] = useState(false);
  const [progress, setProgress] = useState<string>();
  const upload = async (files: readonly File[]) => {
    for (const file of files) {
      const onProgress = ({ transferred, total }: { transferred: number; total: number }) =>
        setProgress(`${file.name}: ${Math.round((100 * transferred) / Math.max(1, total))} %`);
      setProgress(file.name);
      await attempt(async () => {
        const content = new Uint8Array(await file.arrayBuffer());
        await vm.writeFile(joined(folder, file.name), content, { onProgress });
      }, `Uploaded ${file.name} to ${folder}`);
    }
    setProgress(undefined);
    onDone();
  };
  return (
    <section
      class={isOver ? "upload over" : "upload"}
      aria-label="Upload"
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setIsOver(false);
        const files = [...(event.dataTransfer?.files ?? [])];
        if (files.length === 0) tellError(new Error("Drop files, not directories or text"));
        else void upload(files);
      }}
    >
      {children}
      <label class="upload-button">
        {progress ?? `Upload to ${folder}`}
        <input
          type="file"
          multiple
          disabled={progress !== undefined}
          onChange={(event) => {
            const files = [...(event.currentTarget.files ?? [])];
            event.currentTarget.value = "";
            void upload(files);
          }}
        />
      </label>
    </section>
  );
}
