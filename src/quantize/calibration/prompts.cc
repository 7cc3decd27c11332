#include "quantize/calibration/prompts.h"

namespace trimma {
namespace {

constexpr Prompt kPrompts[] = {
    {"en", "Explain to a neighbour how a bicycle stays upright."},
    {"code", "Write a Python function that finds the longest word in a text, with a short test."},
    {"zh", "请介绍一下你最喜欢的一道家常菜是怎么做的。"},
    {"es", "Cuéntame la historia de un faro y de la persona que lo cuida."},
    {"de", "Was muss man beachten, wenn man im Herbst einen Garten anlegt?"},
    {"fr", "Raconte une journée de marché dans une petite ville."},
    {"code", "Write a C function that reverses a linked list, and explain each step."},
    {"ru", "Расскажи, почему зимой лёд плавает на воде."},
    {"ar", "اكتب رسالة قصيرة إلى صديق انتقل إلى مدينة جديدة."},
    {"pt", "Quais são as vantagens de andar de trem em vez de carro?"},
    {"ja", "雨の日に家で楽しめることを三つ教えてください。"},
    {"hi", "गाँव के मेले का एक छोटा सा वर्णन लिखिए।"},
    {"en", "List the steps for planning a week of meals on a small budget."},
    {"it", "Descrivi come si prepara il pane in casa."},
    {"sv", "Berätta om hur man lagar en trasig stol."},
    {"ko", "처음 등산하는 사람에게 조언을 해 주세요."},
    {"code", "Show an SQL query that counts the orders of each customer by month."},
    {"nl", "Waarom is het 's zomers langer licht dan in de winter?"},
    {"pl", "Napisz krótkie opowiadanie o zgubionym kluczu."},
    {"tr", "Bir çocuğa saatin nasıl okunduğunu anlat."},
    {"en", "A train leaves at 14:10 and travels 90 km at 60 km/h. When does it arrive? Show why."},
    {"vi", "Hãy kể về một buổi sáng ở làng chài."},
    {"code", "Write a shell script that renames all .jpeg files in a folder to .jpg."},
    {"id", "Jelaskan bagaimana cara menanam cabai di halaman rumah."},
};

}  // namespace

std::span<const Prompt> Prompts() { return kPrompts; }

}  // namespace trimma
