/** Models as programs, for jobs: `client.submit({ name, model: defineModel({ ... }), data })`. */
export {
  defineLayer,
  defineModel,
  type ModelScope,
  type OwnLayer,
  type OwnLossDefinition,
} from '@kasane/tensor/nn/define-model';
