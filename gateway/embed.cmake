# cmake -DINPUT=file -DOUTPUT=file.c -P embed.cmake: a file as the array that openapi.h declares.
file(READ ${INPUT} content HEX)
string(LENGTH "${content}" digits)
math(EXPR length "${digits} / 2")
string(REPEAT "." 32 line) # 16 bytes
string(REGEX REPLACE "(${line})" "\\1\n" content "${content}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," content "${content}")
file(WRITE ${OUTPUT} "#include \"gateway/openapi.h\"\n\nconst char openapi_yaml[] = {\n${content}0};\n"
                     "const size_t openapi_yaml_length = ${length};\n")
