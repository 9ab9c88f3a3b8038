/* Answers files, images or serialized tf.train.Examples, with a SavedModel by
 * TensorFlow's C API, without any Python.
 *
 * c_program EXPORT INPUT PROBABILITIES LABEL FILE...
 *
 * INPUT, PROBABILITIES and LABEL are OPERATION:INDEX, from a signature. Prints a line a file: its label, a tab, its probabilities.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

static TF_Status *status;

static void check(const char *doing) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "%s: %s\n", doing, TF_Message(status));
    exit(1);
  }
}

static TF_Output output_of(TF_Graph *graph, const char *given) {
  char name[1024];
  snprintf(name, sizeof name, "%s", given);
  char *colon = strrchr(name, ':');
  if (colon == NULL) {
    fprintf(stderr, "%s: expected OPERATION:INDEX\n", given);
    exit(2);
  }
  *colon = '\0';
  TF_Output output = {TF_GraphOperationByName(graph, name), atoi(colon + 1)};
  if (output.oper == NULL) {
    fprintf(stderr, "%s: no such operation\n", name);
    exit(1);
  }
  return output;
}

static void read_file(const char *path, TF_TString *contents) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  char *bytes = malloc(size);
  if (fread(bytes, 1, size, file) != (size_t)size) {
    perror(path);
    exit(1);
  }
  fclose(file);
  TF_StringInit(contents);
  TF_StringCopy(contents, bytes, size);
  free(bytes);
}

int main(int count, char **arguments) {
  if (count < 6) {
    fprintf(stderr, "usage: %s EXPORT INPUT PROBABILITIES LABEL FILE...\n",
            arguments[0]);
    return 2;
  }
  status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(
      options, NULL, arguments[1], tags, 1, graph, NULL, status);
  check("loading");

  int64_t rows = count - 5;
  TF_Tensor *files =
      TF_AllocateTensor(TF_STRING, &rows, 1, rows * sizeof(TF_TString));
  TF_TString *contents = TF_TensorData(files);
  for (int64_t row = 0; row < rows; ++row) {
    read_file(arguments[5 + row], &contents[row]);
  }
  TF_Output input = output_of(graph, arguments[2]);
  TF_Output outputs[] = {output_of(graph, arguments[3]),
                         output_of(graph, arguments[4])};
  TF_Tensor *answers[2];
  TF_SessionRun(session, NULL, &input, &files, 1, outputs, answers, 2, NULL, 0,
                NULL, status);
  check("running");

  int64_t classes = TF_Dim(answers[0], 1);
  const float *probabilities = TF_TensorData(answers[0]);
  const TF_TString *labels = TF_TensorData(answers[1]);
  for (int64_t row = 0; row < rows; ++row) {
    printf("%.*s\t", (int)TF_StringGetSize(&labels[row]),
           TF_StringGetDataPointer(&labels[row]));
    for (int64_t i = 0; i < classes; ++i) {
      printf("%.9g ", probabilities[row * classes + i]);
    }
    printf("\n");
  }
  TF_DeleteTensor(files);
  TF_DeleteTensor(answers[0]);
  TF_DeleteTensor(answers[1]);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
