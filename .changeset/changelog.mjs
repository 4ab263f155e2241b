// How changesets become CHANGELOG.md: a section as it is written, anything shorter as an item of a list.
export default {
  getReleaseLine: async ({ summary }) => {
    const text = summary.trim();
    if (text.startsWith('#')) return `\n${text}\n`;
    return `- ${text.replaceAll('\n', '\n  ')}`;
  },
  // All packages have one version, so every release would list every package.
  getDependencyReleaseLine: async () => '',
};
