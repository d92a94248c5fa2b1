import { VirtualList } from "../../ui/virtual-list.tsx";
import type { TreeRow } from "./tree.ts";

interface Props {
  rows: TreeRow[];
  chosen: string | undefined;
  choose: (row: TreeRow) => void;
  toggle: (row: TreeRow) => void;
}

const SIGNS = { directory: "▸", file: "", symlink: "↪" } as const;

/** A tree of files. Arrow keys move in it, as in every tree of a desktop. */
export function FileTree({ rows, chosen, choose, toggle }: Props) {
  const at = rows.findIndex(({ path }) => path === chosen);
  const onKeyDown = (event: KeyboardEvent) => {
    const row = rows[at];
    const isFolder = row?.type === "directory";
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = rows[Math.max(0, Math.min(rows.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))];
      if (next !== undefined) choose(next);
    } else if (row !== undefined && isFolder && event.key === "ArrowRight" && !row.isOpen) toggle(row);
    else if (row !== undefined && isFolder && event.key === "ArrowLeft" && row.isOpen) toggle(row);
    else if (row !== undefined && isFolder && event.key === "Enter") toggle(row);
    else return;
    event.preventDefault();
  };
  return (
    <VirtualList
      items={rows}
      rowHeight={26}
      keyOf={({ path }) => path}
      label="Files"
      role="tree"
      class="fill tree"
      onKeyDown={onKeyDown}
      render={(row) => (
        <div
          role="treeitem"
          aria-level={row.depth + 1}
          aria-selected={row.path === chosen}
          aria-expanded={row.type === "directory" ? row.isOpen : undefined}
          tabIndex={-1}
          class="tree-row"
          title={row.path}
          style={{ paddingLeft: `${8 + row.depth * 16}px` }}
          onClick={() => {
            choose(row);
            if (row.type === "directory") toggle(row);
          }}
          onKeyDown={undefined}
        >
          <span class="sign" aria-hidden="true">
            {row.isOpen ? "▾" : SIGNS[row.type]}
          </span>
          <span class="name">{row.name}</span>
        </div>
      )}
    />
  );
}
