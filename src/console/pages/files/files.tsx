import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import type { DirEntry } from "../../../client/index.ts";
import { useMachine, useSession } from "../../state/context.ts";
import { Empty } from "../../ui/parts.tsx";
import { attempt } from "../../ui/toast.tsx";
import { ChangesSinceNewest } from "../changes/since-newest.tsx";
import { FileActions } from "./actions.tsx";
import { FileTree } from "./file-tree.tsx";
import { Preview } from "./preview.tsx";
import { folderOf, listFolder, rowsOf, type TreeRow } from "./tree.ts";
import { Upload } from "./upload.tsx";

/** Directories that the page begins with. */
const PLACES = ["/workspace", "/home/agentos", "/tmp", "/etc", "/"] as const;

/** The files of a machine: a tree, a preview with an editor, uploads, and what has changed. */
export default function FilesPage() {
  const { vm, key } = useMachine();
  const session = useSession();
  const [root, setRoot] = useState<string>(PLACES[0]);
  const [folders, setFolders] = useState<ReadonlyMap<string, readonly DirEntry[]>>(new Map());
  const [chosen, setChosen] = useState<TreeRow>();
  const [showsChanges, setShowsChanges] = useState(false);
  const load = useCallback(
    async (path: string) => {
      const entries = await listFolder(vm, path);
      setFolders((known) => new Map(known).set(path, entries));
    },
    [vm],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: the tree of another machine is empty at first
  useEffect(() => {
    setFolders(new Map());
    setChosen(undefined);
    void attempt(() => load(root));
  }, [key.join("/"), root]);
  const rows = useMemo(() => rowsOf(folders, root), [folders, root]);
  const toggle = (row: TreeRow) => {
    if (!row.isOpen) return void attempt(() => load(row.path));
    setFolders(
      (known) =>
        new Map([...known].filter(([path]) => path !== row.path && !path.startsWith(`${row.path}/`))),
    );
  };
  const refresh = async () => {
    for (const path of folders.keys())
      await load(path).catch(() =>
        setFolders((known) => new Map([...known].filter(([folder]) => folder !== path))),
      );
  };
  const folder =
    chosen === undefined ? root : chosen.type === "directory" ? chosen.path : folderOf(chosen.path);
  const changed = async (gone?: string) => {
    if (gone !== undefined && chosen?.path === gone) setChosen(undefined);
    await refresh();
  };
  return (
    <div class="files-page">
      <div class="side">
        <div class="bar small">
          <select
            aria-label="Directory"
            value={root}
            onChange={(event) => setRoot(event.currentTarget.value)}
          >
            {PLACES.map((place) => (
              <option key={place}>{place}</option>
            ))}
          </select>
          <button type="button" onClick={() => void refresh()}>
            Refresh
          </button>
          {session.may("snapshots") && (
            <button type="button" aria-pressed={showsChanges} onClick={() => setShowsChanges(!showsChanges)}>
              Changes
            </button>
          )}
        </div>
        {session.may("files") ? (
          <Upload folder={folder} onDone={() => void changed()}>
            <FileTree rows={rows} chosen={chosen?.path} choose={setChosen} toggle={toggle} />
          </Upload>
        ) : (
          <FileTree rows={rows} chosen={chosen?.path} choose={setChosen} toggle={toggle} />
        )}
      </div>
      <div class="side-content">
        {showsChanges ? (
          <ChangesSinceNewest />
        ) : chosen === undefined ? (
          <Empty>
            {session.may("files") ? "Choose a file, or drop files onto the tree." : "Choose a file."}
          </Empty>
        ) : (
          <>
            <FileActions row={chosen} folder={folder} onChanged={changed} />
            {chosen.type !== "directory" && (
              <Preview key={chosen.path} path={chosen.path} size={chosen.size} />
            )}
          </>
        )}
      </div>
    </div>
  );
}
