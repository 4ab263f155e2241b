/** The images of class folders, each looked at before training. */
import type { ClassFolder } from '../files/class-folders.ts';
import { checkImage, type Print } from './image-check.ts';
import { decoding, type ImageForm, type ImageKind } from './image-decode.ts';

export interface CheckedClass {
  readonly name: string;
  readonly group: ClassFolder;
  readonly usable: readonly { readonly path: string; readonly print: Print; readonly kind?: ImageKind }[];
  /** Why others are not, a sentence each. */
  readonly damaged: readonly string[];
}

/** @param decodes as of `checkImage` */
export async function checkClasses(
  groups: readonly ClassFolder[],
  isImage: (file: string) => boolean,
  form: ImageForm,
  decodes: boolean,
): Promise<CheckedClass[]> {
  const classes: CheckedClass[] = [];
  for (const group of groups) {
    const files = group.files.filter(isImage);
    const checked = await Promise.all(
      files.map((file) => decoding.run(() => checkImage(file, form, decodes))),
    );
    const usable = checked.flatMap(({ print, kind }, index) =>
      print ? [{ path: files[index]!, print, ...(kind && { kind }) }] : [],
    );
    const damaged = checked.flatMap(({ problem }) => problem ?? []);
    classes.push({ name: group.name, group, usable, damaged });
  }
  return classes;
}
